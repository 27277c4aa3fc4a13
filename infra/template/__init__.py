"""The CloudFormation template: what a deployment consists of, and what each function may do."""

from typing import Any

#: a part of the template
JSON = dict[str, Any]
