"""Updates of one item that are written as DynamoDB wants them, without pynamodb's expressions.

pynamodb builds a tree for each action and each condition, and parses the whole item that comes back. For rare updates
that doesn't matter. But each call is claimed and finished by an update, and these took most of a call's processor time.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
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
    assignments, names = _expression(tuple(sets), condition)
    return {
        "TableName": items.Meta.table_name,
        "Key": key,
        "UpdateExpression": assignments,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {**names},
        "ExpressionAttributeValues": {**written, **given},
        "ReturnValues": answers,
    }


@lru_cache(maxsize=64)
def _expression(sets: tuple[str, ...], condition: str) -> tuple[str, Mapping[str, str]]:
    """The expression that sets these attributes, and the names in it and in the condition."""
    names = {f"#{name}": name for name in (*sets, *_NAME.findall(condition))}
    return "SET " + ", ".join(f"#{name} = :{name}" for name in sets), names
