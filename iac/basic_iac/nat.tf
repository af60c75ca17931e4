# NAT gateways of the private subnets. One costs less; one in each zone keeps the other zones connected when a zone fails.

resource "aws_eip" "nat" {
  for_each = local.gateways
  domain   = "vpc"
  tags     = { Name = "${local.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "default" {
  for_each      = local.gateways
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${local.name}-${each.key}" }
  depends_on    = [aws_internet_gateway.default]
}

resource "aws_route" "out" {
  for_each               = local.nat == "none" ? {} : local.zones
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.default[local.nat == "each_zone" ? each.key : var.zones[0]].id
}

locals {
  gateways = toset({ none = [], one = slice(var.zones, 0, 1), each_zone = var.zones }[local.nat])
}
