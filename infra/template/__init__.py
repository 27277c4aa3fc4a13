"""The CloudFormation template: what a deployment consists of, and who may do what."""
