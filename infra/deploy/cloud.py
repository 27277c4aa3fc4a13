"""Where a package is deployed to: AWS, or an emulator in its place."""

from typing import Any, Protocol

from botocore.exceptions import ClientError
from botocore.session import Session

from infra.deploy.session import aws_session


class Cloud(Protocol):
    @property
    def bucket(self) -> str:
        """The bucket of the packages."""

    @property
    def patience(self) -> float:
        """How many seconds a deployment may take."""

    def client(self, service: str) -> Any:
        """A botocore client."""

    def make_bucket(self) -> None:
        """Create the bucket if it doesn't exist."""

    def url(self, key: str) -> str:
        """The URL by which CloudFormation reads an object of the bucket."""


class NoRegion(Exception):
    """Neither the environment nor the configuration names a region."""


class Aws:
    """AWS, with the credentials and the region that the AWS tools use."""

    #: new tables, functions and alarms take some minutes
    patience = 1800.0

    def __init__(self, session: Session | None = None) -> None:
        """Raises NoRegion, and what botocore raises without credentials."""
        self._session = session or aws_session()
        self._region = self._session.get_config_variable("region")
        if not self._region:
            raise NoRegion
        account = self.client("sts").get_caller_identity()["Account"]
        #: a bucket's name is unique across all accounts of AWS
        self.bucket = f"callpacer-packages-{account}-{self._region}"

    def client(self, service: str) -> Any:
        return self._session.create_client(service, region_name=self._region)

    def make_bucket(self) -> None:
        """A private bucket, encrypted by default, whose packages expire after ninety days."""
        s3 = self.client("s3")
        location = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        try:
            s3.create_bucket(Bucket=self.bucket, **({"CreateBucketConfiguration": location} if location else {}))
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
        rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}
        s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": [rule]})

    def url(self, key: str) -> str:
        return f"https://{self.bucket}.s3.{self._region}.amazonaws.com/{key}"
