"""Installation: lifecycle-configuration scripts, IAM policies, the offline bundle, and how they are
attached to a domain. Nothing here runs inside a Jupyter server.
"""
