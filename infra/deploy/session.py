"""A botocore session with the credentials and the region that the AWS tools use."""

from botocore.session import Session

#: The AWS CLI and SDKs read AWS_REGION, and the CLI and botocore AWS_DEFAULT_REGION; AWS_REGION wins. botocore alone
#: would not read AWS_REGION.
#: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
#: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
_REGION = ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)


def aws_session() -> Session:
    # Each variable is (its name in the configuration file, its names in the environment, its default, a conversion).
    return Session(session_vars={"region": _REGION})
