"""An update of one item as DynamoDB wants it, written without pynamodb's expressions.

pynamodb grows a tree for each action and each condition, and reads the whole item that comes back. That is no matter
for what happens now and then. But each call is claimed and finished by such an update, and they were most of what a
call took of the processor.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pynamodb.models import Model

#: attributes as DynamoDB writes them, such as `{"nonce": {"S": "3cbd"}}`
Written: TypeAlias = Mapping[str, Mapping[str, Any]]

_NAME = re.compile(r"#(\w+)")


def update_of(
    items: type[Model],
    key: Written,
    sets: Mapping[str, Any],
    condition: str,
    given: Written,
    answers: Literal["NONE", "ALL_OLD"] = "NONE",
) -> dict[str, Any]:
    """The request that `Database.update` sends.

    `sets` are attributes and their values, which are written as their model writes them. In the condition `#nonce` is
    the attribute, and `:nonce` is what it is set to, or else is `given`. Whether anything is answered, DynamoDB bills
    the same; to read it takes time.
    """
    attributes = items.get_attributes()
    written = {f":{name}": {attributes[name].attr_type: attributes[name].serialize(sets[name])} for name in sets}
    return {
        "TableName": items.Meta.table_name,
        "Key": key,
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in sets),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*sets, *_NAME.findall(condition))},
        "ExpressionAttributeValues": {**written, **given},
        "ReturnValues": answers,
    }
