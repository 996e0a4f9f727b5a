"""Installation: lifecycle-configuration scripts and attaching them to a domain, IAM policies,
CloudFormation templates, and the offline bundle. Nothing here runs inside a Jupyter server.
"""
