# Bakes setup.sh's result into an image, so that a training machine starts in under a minute.
#
#   packer init deployments/trainer/image.pkr.hcl
#   packer build -var region=eu-central-1 -var release=s3://CODE_BUCKET/trainer/RELEASE \
#     -var instance_profile=PROFILE deployments/trainer/image.pkr.hcl
#
# Then put the image's id into an SSM parameter and name that: exemplar deploy --image PARAMETER

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = "~> 1.3"
    }
  }
}

variable "region" {
  type = string
}

variable "release" {
  type        = string
  description = "s3://CODE_BUCKET/trainer/RELEASE, as `exemplar deploy` prints it."
}

variable "instance_profile" {
  type        = string
  description = "A profile that may read the release: any project's training profile can."
}

source "amazon-ebs" "trainer" {
  region               = var.region
  instance_type        = "m6i.large"
  iam_instance_profile = var.instance_profile
  ssh_username         = "ec2-user"
  ami_name             = "exemplar-trainer-{{timestamp}}"
  encrypt_boot         = true

  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters = {
      name                = "al2023-ami-2023.*-x86_64"
      virtualization-type = "hvm"
    }
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 30
    delete_on_termination = true
  }

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }
}

build {
  sources = ["source.amazon-ebs.trainer"]

  provisioner "shell" {
    script          = "${path.root}/setup.sh"
    execute_command = "sudo {{ .Path }} ${var.release}"
  }
}
