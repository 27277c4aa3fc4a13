"""What surrounds the product: the CloudFormation template, deploying, the local deployment, the operator's commands."""
