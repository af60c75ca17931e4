# The cluster is private, encrypted and audited; its roles have no access to records.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment    = "qa"
  region         = "eu-west-1"
  administrators = ["arn:aws:iam::123456789012:role/platform"]
}

run "by_default" {
  command = plan
  assert {
    condition     = !one(aws_eks_cluster.default.vpc_config).endpoint_public_access && one(aws_eks_cluster.default.vpc_config).subnet_ids == toset(["subnet-private-a", "subnet-private-b", "subnet-private-c"])
    error_message = "The cluster's API is reachable from the internet, or nodes run in public subnets."
  }
  assert {
    condition     = one(aws_eks_cluster.default.encryption_config).resources == toset(["secrets"]) && one(one(aws_eks_cluster.default.encryption_config).provider).key_arn == module.key.arn
    error_message = "Kubernetes secrets are not encrypted with the customer managed key."
  }
  assert {
    condition     = contains(aws_eks_cluster.default.enabled_cluster_log_types, "audit") && aws_cloudwatch_log_group.cluster.name == "/aws/eks/people-info-qa/cluster" && aws_cloudwatch_log_group.cluster.kms_key_id == module.key.arn
    error_message = "The audit log of the cluster is missing or not encrypted."
  }
  assert {
    condition     = one(aws_eks_cluster.default.access_config).authentication_mode == "API" && !one(aws_eks_cluster.default.access_config).bootstrap_cluster_creator_admin_permissions && keys(aws_eks_access_entry.administrators) == ["arn:aws:iam::123456789012:role/platform"]
    error_message = "Principals other than the named administrators are administrators of the cluster."
  }
  assert {
    condition     = one(aws_eks_cluster.default.compute_config).enabled && one(one(aws_eks_cluster.default.kubernetes_network_config).elastic_load_balancing).enabled && one(one(aws_eks_cluster.default.storage_config).block_storage).enabled
    error_message = "The cluster uses Auto Mode for some parts only, which EKS rejects."
  }
  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.service : attachment.policy_arn if attachment.role == "people-info-qa-eks-node"]) == toset(["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly", "arn:aws:iam::aws:policy/AmazonEKSWorkerNodeMinimalPolicy"])
    error_message = "Nodes, and thereby all pods on them, may do more than join and pull images."
  }
}

run "the_whole_internet_is_refused" {
  command = plan
  variables {
    administrators_from = ["0.0.0.0/0"]
  }
  expect_failures = [var.administrators_from]
}

run "administrators_come_from_their_network" {
  command = plan
  variables {
    administrators_from = ["192.0.2.0/24"]
  }
  assert {
    condition     = one(aws_eks_cluster.default.vpc_config).endpoint_public_access && one(aws_eks_cluster.default.vpc_config).public_access_cidrs == toset(["192.0.2.0/24"])
    error_message = "The administrators' network does not reach the cluster, or other networks do."
  }
}
