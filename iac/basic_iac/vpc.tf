# Three zones, each with a public subnet for the load balancer and a private one for all other resources.

resource "aws_vpc" "default" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = local.name }
}

# The default security group allows no traffic, so a resource without an explicit group has no access.
resource "aws_default_security_group" "default" {
  vpc_id = aws_vpc.default.id
  tags   = { Name = "${local.name}-default-closed" }
}

resource "aws_subnet" "public" {
  for_each                = local.zones
  vpc_id                  = aws_vpc.default.id
  availability_zone       = "${var.region}${each.key}"
  cidr_block              = cidrsubnet(var.cidr, 6, each.value)
  map_public_ip_on_launch = false
  tags                    = { Name = "${local.name}-public-${each.key}", "kubernetes.io/role/elb" = "1" }
}

resource "aws_subnet" "private" {
  for_each          = local.zones
  vpc_id            = aws_vpc.default.id
  availability_zone = "${var.region}${each.key}"
  cidr_block        = cidrsubnet(var.cidr, 4, each.value + 4)
  tags              = { Name = "${local.name}-private-${each.key}", "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_internet_gateway" "default" {
  vpc_id = aws_vpc.default.id
  tags   = { Name = local.name }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.default.id
  tags   = { Name = "${local.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.default.id
}

resource "aws_route_table_association" "public" {
  for_each       = local.zones
  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  for_each = local.zones
  vpc_id   = aws_vpc.default.id
  tags     = { Name = "${local.name}-private-${each.key}" }
}

resource "aws_route_table_association" "private" {
  for_each       = local.zones
  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

locals {
  name      = "${var.prefix}-${var.environment}"
  zones     = { for number, letter in var.zones : letter => number }
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
