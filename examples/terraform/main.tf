# auto_shutdown on a SageMaker user profile, with Terraform. See docs/as-code.md.
# on-start.sh is written by: jupyter auto-shutdown lifecycle-config --for jupyterlab --output on-start.sh

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
    }
  }
}

variable "domain_id" {
  type = string
}

variable "user_profile_name" {
  type = string
}

variable "execution_role_arn" {
  type = string
}

locals {
  script = file("${path.module}/on-start.sh")
}

# SageMaker cannot change a lifecycle configuration. With a digest in its name, another script is a
# new configuration, which is created and attached before the old one is deleted.
resource "aws_sagemaker_studio_lifecycle_config" "auto_shutdown" {
  studio_lifecycle_config_name     = "auto-shutdown-jupyterlab-${substr(sha256(local.script), 0, 12)}"
  studio_lifecycle_config_app_type = "JupyterLab"
  studio_lifecycle_config_content  = base64encode(local.script)

  lifecycle {
    create_before_destroy = true
  }
}

# The same block stands in default_user_settings of aws_sagemaker_domain.
resource "aws_sagemaker_user_profile" "this" {
  domain_id         = var.domain_id
  user_profile_name = var.user_profile_name

  user_settings {
    execution_role = var.execution_role_arn

    jupyter_lab_app_settings {
      built_in_lifecycle_config_arn = aws_sagemaker_studio_lifecycle_config.auto_shutdown.arn
    }
  }
}
