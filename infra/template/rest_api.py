"""API Gateway: bodies as bytes, and answers of its own that read like the API's."""

import json
from typing import Any

from chalicelib.api.request import MAX_BODY_BYTES
from infra.template.alarms import API_NAME

JSON = dict[str, Any]


def rest_api() -> JSON:
    """Bodies reach the code as the bytes they are, and what the gateway refuses by itself reads as the API's own."""
    name = {"Fn::Sub": API_NAME}
    return {
        "Properties": {
            "Name": name,
            # As it is. To name it keeps SAM from making another public stage, which is called "Stage".
            # https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-api.html
            "OpenApiVersion": "2.0",
            "DefinitionBody": {
                "info": {"title": name},
                "x-amazon-apigateway-binary-media-types": ["*/*"],
                "x-amazon-apigateway-gateway-responses": {
                    "DEFAULT_4XX": _gateway_response("The request is invalid."),
                    "DEFAULT_5XX": _gateway_response("The server is in trouble. Try again later."),
                    "MISSING_AUTHENTICATION_TOKEN": _gateway_response("Not found.", 404),
                    "REQUEST_TOO_LARGE": _gateway_response(
                        f"The request body is larger than the limit of {MAX_BODY_BYTES} bytes.", 413
                    ),
                    "THROTTLED": _gateway_response("Too many requests.", 429),
                },
            },
        }
    }


def _gateway_response(error: str, status: int | None = None) -> JSON:
    """The envelope of every error; without a status, the one the gateway had in mind."""
    response: JSON = {
        "responseTemplates": {"application/json": json.dumps({"status": "error", "error": error})},
    }
    if status is not None:
        response["statusCode"] = status
    return response
