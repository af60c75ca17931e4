# Kubernetes in EKS Auto Mode: AWS manages the nodes, the network, the load balancers and the volumes, so that only
# deploy/kubernetes/eks.yaml and the service (deploy/helm/people-info-api) are installed.

resource "aws_eks_cluster" "default" {
  name                          = local.name
  role_arn                      = aws_iam_role.service["cluster"].arn
  version                       = var.kubernetes_version
  bootstrap_self_managed_addons = false
  deletion_protection           = var.deletion_protection
  enabled_cluster_log_types     = ["api", "audit", "authenticator"]

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  # EKS requires Auto Mode for compute, storage and load balancing together.
  compute_config {
    enabled       = true
    node_pools    = ["general-purpose", "system"]
    node_role_arn = aws_iam_role.service["node"].arn
  }
  kubernetes_network_config {
    elastic_load_balancing {
      enabled = true
    }
  }
  storage_config {
    block_storage {
      enabled = true
    }
  }

  encryption_config {
    provider {
      key_arn = module.key.arn
    }
    resources = ["secrets"]
  }

  vpc_config {
    subnet_ids              = split(",", local.basic["private_subnet_ids"])
    endpoint_private_access = true
    endpoint_public_access  = length(var.administrators_from) > 0
    public_access_cidrs     = length(var.administrators_from) > 0 ? var.administrators_from : null
  }

  depends_on = [aws_cloudwatch_log_group.cluster, aws_iam_role_policy_attachment.service]

  lifecycle {
    precondition {
      condition     = local.basic["service_public_ip"] == "false"
      error_message = "Nodes run in private subnets and need a NAT gateway: choose the profile standard or prod in basic_iac."
    }
  }
}

# Auto Mode does not include it, and the chart's autoscaler reads the CPU of pods from it.
resource "aws_eks_addon" "metrics_server" {
  cluster_name = aws_eks_cluster.default.name
  addon_name   = "metrics-server"
}

resource "aws_eks_access_entry" "administrators" {
  for_each      = var.administrators
  cluster_name  = aws_eks_cluster.default.name
  principal_arn = each.key
}

resource "aws_eks_access_policy_association" "administrators" {
  for_each      = aws_eks_access_entry.administrators
  cluster_name  = aws_eks_cluster.default.name
  principal_arn = each.value.principal_arn
  policy_arn    = "arn:${local.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
  access_scope {
    type = "cluster"
  }
}

# EKS writes to this name; creating it here sets encryption and retention.
resource "aws_cloudwatch_log_group" "cluster" {
  name              = "/aws/eks/${local.name}/cluster"
  kms_key_id        = module.key.arn
  retention_in_days = 30
}

module "key" {
  source      = "../modules/kms_key"
  name        = "${local.name}-eks"
  description = "Kubernetes secrets and the cluster log in ${local.name}."
  statements = [{
    Sid       = "LogsOfThisCluster"
    Effect    = "Allow"
    Principal = { Service = "logs.${var.region}.amazonaws.com" }
    Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    Resource  = "*"
    Condition = { ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/aws/eks/${local.name}/cluster" } }
  }]
}
