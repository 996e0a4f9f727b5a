"""How it gets to where it runs: lifecycle configurations, IAM policies, the offline bundle."""
