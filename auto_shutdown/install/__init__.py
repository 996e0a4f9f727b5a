"""Install the extension in SageMaker: lifecycle configurations and attaching them to a domain, IAM
policies, CloudFormation templates, and the bundle for machines without internet access.

Nothing here runs inside a Jupyter server, and nothing here deletes an app.
"""
