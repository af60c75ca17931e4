# What whoever installs the chart is told.

resource "aws_ssm_parameter" "published" {
  for_each = {
    cluster_name = aws_eks_cluster.default.name
  }
  name           = "/${local.name}/eks/${each.key}"
  type           = "String"
  insecure_value = each.value
}

output "values" {
  description = "The chart's values that follow from the stacks: `terraform output -raw values > stacks.yaml`, then `helm upgrade … --values stacks.yaml`."
  value = yamlencode({
    image = { repository = local.basic["ecr_repository_url"] }
    # A load balancer of AWS sends requests to pods from its own addresses, which are in no namespace.
    networkPolicy = { from = concat(
      [for cidr in split(",", local.basic["public_cidrs"]) : { ipBlock = { cidr = cidr } }],
      [{ namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "monitoring" } } }],
    ) }
    settings = {
      store      = local.app["store_url"]
      cache      = local.app["cache_url"]
      cache_user = local.app["cache_user"]
      encryption = var.encryption ? local.app["encryption_url"] : ""
    }
  })
}
