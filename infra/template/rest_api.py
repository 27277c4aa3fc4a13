"""API Gateway: it passes bodies on as bytes, and its own errors have the envelope of the API's."""

import json

from chalicelib.api.request import MAX_BODY_BYTES
from infra.template import JSON
from infra.template.alarms import API_NAME

#: the API's stage in API Gateway; .chalice/config.json names it, too
GATEWAY_STAGE = "v1"


def rest_api() -> JSON:
    name = {"Fn::Sub": API_NAME}
    return {
        "Properties": {
            "Name": name,
            # The version that Chalice writes. If it isn't named here, SAM makes another public stage, called "Stage".
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
    """An error in the API's envelope. Without a status the gateway's own is kept."""
    response: JSON = {
        "responseTemplates": {"application/json": json.dumps({"status": "error", "error": error})},
    }
    if status is not None:
        response["statusCode"] = status
    return response
