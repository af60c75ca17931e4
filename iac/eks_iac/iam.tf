# Two roles for the AWS-managed parts of the cluster, which need more than the permissions boundary allows. An administrator applies this
# stack, because no workflow may. The service has the same role as on ECS.

resource "aws_iam_role" "service" {
  for_each    = local.services
  name        = "${local.name}-eks-${each.key}"
  description = each.value.description
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = each.value.taken_on_by }
      Action    = each.value.actions
    }]
  })
}

resource "aws_iam_role_policy_attachment" "service" {
  for_each = merge([
    for service, role in local.services : { for policy in role.policies : "${service}/${policy}" => { service = service, policy = policy } }
  ]...)
  role       = aws_iam_role.service[each.value.service].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value.policy}"
}

# The role of the ECS task (app_iac: kubernetes = true lets pods of this cluster assume it), for pods of one service account only.
resource "aws_eks_pod_identity_association" "people" {
  cluster_name    = aws_eks_cluster.default.name
  namespace       = var.namespace
  service_account = var.release
  role_arn        = local.app["task_role_arn"]
}

# Pods reach the cache through the security group that EKS assigns to all nodes.
resource "aws_vpc_security_group_ingress_rule" "cache_from_pods" {
  security_group_id            = local.app["cache_security_group_id"]
  description                  = "The service on Kubernetes."
  referenced_security_group_id = one(aws_eks_cluster.default.vpc_config).cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}

locals {
  services = {
    cluster = {
      description = "EKS, for the nodes, networks and load balancers of ${local.name}."
      taken_on_by = "eks.amazonaws.com"
      actions     = ["sts:AssumeRole", "sts:TagSession"]
      policies = [
        "AmazonEKSBlockStoragePolicy", "AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
      ]
    }
    node = {
      description = "Nodes of ${local.name}: joining the cluster and pulling images, without access to records."
      taken_on_by = "ec2.amazonaws.com"
      actions     = ["sts:AssumeRole"]
      policies    = ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"]
    }
  }
}
