# A Debian image with GitHub's runner, for the backends gce and ec2: `packer init . && packer build -only=googlecompute.runner …`.
# Instances of it download only the agent when they boot.

packer {
  required_plugins {
    googlecompute = {
      source  = "github.com/hashicorp/googlecompute"
      version = ">= 1.1.4"
    }
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.2"
    }
  }
}

variable "runner_url" {
  type        = string
  description = "Address of the runner's release for linux-x64, a .tar.gz."
}

variable "runner_sha256" {
  type        = string
  description = "SHA-256 of that file, from the page of the release."
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.runner_sha256))
    error_message = "The checksum must be 64 lower-case hex digits."
  }
}

variable "project" {
  type    = string
  default = ""
}

variable "zone" {
  type    = string
  default = "europe-west4-a"
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "googlecompute" "runner" {
  project_id          = var.project
  zone                = var.zone
  source_image_family = "debian-12"
  image_family        = "baton-runner"
  image_name          = "baton-runner-${local.stamp}"
  machine_type        = "e2-standard-2"
  disk_size           = 20
  ssh_username        = "packer"
}

source "amazon-ebs" "runner" {
  region        = var.region
  instance_type = "t3.medium"
  ami_name      = "baton-runner-${local.stamp}"
  ssh_username  = "admin"
  imds_support  = "v2.0"

  source_ami_filter {
    owners      = ["136693071363"] # Debian
    most_recent = true
    filters = {
      name                = "debian-12-amd64-*"
      virtualization-type = "hvm"
    }
  }

  tags = {
    Name = "baton-runner"
  }
}

build {
  sources = ["source.googlecompute.runner", "source.amazon-ebs.runner"]

  provisioner "shell" {
    execute_command = "chmod +x {{ .Path }}; sudo env {{ .Vars }} {{ .Path }}"
    script          = "${path.root}/install.sh"
    environment_vars = [
      "RUNNER_URL=${var.runner_url}",
      "RUNNER_SHA256=${var.runner_sha256}",
    ]
  }
}
