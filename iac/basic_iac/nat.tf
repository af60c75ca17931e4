# The way out of the private subnets. One gateway costs least; one a zone keeps the others going when a zone is lost.

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
  for_each               = local.zones
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.default[var.nat == "each_zone" ? each.key : var.zones[0]].id
}

locals {
  gateways = toset(var.nat == "each_zone" ? var.zones : [var.zones[0]])
}
