"""Updates of one item that are written as DynamoDB wants them, without pynamodb's expressions.

pynamodb builds a tree for each action and each condition, and parses the whole item that comes back. For rare updates
that doesn't matter. But each call is claimed and finished by an update, and these took most of a call's processor time.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pynamodb.models import Model

#: attributes in DynamoDB's own form, such as `{"nonce": {"S": "3cbd"}}`
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

    `sets` has the attributes to be set, and their values as the model has them. In the condition, `#nonce` is the
    attribute. `:nonce` is the value that it is set to, or else a value in `given`. DynamoDB bills the same for any
    `answers`, but reading an answer takes time.
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
