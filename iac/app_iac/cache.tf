# Valkey before the table, in two zones or more, unless the profile has none. Losing it loses no record.

resource "aws_elasticache_replication_group" "default" {
  count                      = local.has_cache ? 1 : 0
  replication_group_id       = local.name
  description                = "Answers of ${local.name}."
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = local.cache.node_type
  num_cache_clusters         = local.cache.nodes
  automatic_failover_enabled = local.cache.nodes > 1
  multi_az_enabled           = local.cache.nodes > 1
  port                       = local.cache_port
  parameter_group_name       = aws_elasticache_parameter_group.default[0].name
  subnet_group_name          = aws_elasticache_subnet_group.default[0].name
  security_group_ids         = [aws_security_group.cache.id]
  user_group_ids             = [aws_elasticache_user_group.default[0].user_group_id]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = module.people_key.arn
  # A backup would keep people whom somebody has erased since, and a cache needs none.
  snapshot_retention_limit   = 0
  auto_minor_version_upgrade = true
  apply_immediately          = false
}

resource "aws_elasticache_parameter_group" "default" {
  count       = local.has_cache ? 1 : 0
  name        = local.name
  family      = "valkey8"
  description = "When the memory is full, what expires first goes first; fences and leases all expire."
  parameter {
    name  = "maxmemory-policy"
    value = "volatile-ttl"
  }
}

resource "aws_elasticache_subnet_group" "default" {
  count       = local.has_cache ? 1 : 0
  name        = local.name
  description = "The private subnets."
  subnet_ids  = local.private
}

resource "aws_elasticache_user_group" "default" {
  count         = local.has_cache ? 1 : 0
  engine        = "valkey"
  user_group_id = local.name
  user_ids      = [local.cache_user]
  depends_on    = [aws_cloudformation_stack.cache_user]
}

# The password is made by Secrets Manager and read by ElastiCache, both at AWS. Terraform's resource for the user keeps passwords in the state
# and has no write-only argument for them, so this one thing is made by CloudFormation, which passes the secret on by reference.
resource "aws_cloudformation_stack" "cache_user" {
  count = local.has_cache ? 1 : 0
  name  = "${local.name}-cache-user"
  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "The cache's user and its password, which only the service's tasks are given."
    Resources = {
      Password = {
        Type = "AWS::SecretsManager::Secret"
        Properties = {
          Name                 = "${local.name}/cache_password"
          Description          = "The password of the cache's user."
          KmsKeyId             = module.people_key.arn
          GenerateSecretString = { PasswordLength = 64, ExcludePunctuation = true }
        }
      }
      User = {
        Type = "AWS::ElastiCache::User"
        Properties = {
          Engine       = "valkey"
          UserId       = local.cache_user
          UserName     = local.cache_user
          AccessString = local.cache_rights
          Passwords    = [{ "Fn::Sub" = "{{resolve:secretsmanager:$${Password}}}" }]
        }
      }
    }
    Outputs = { PasswordArn = { Value = { Ref = "Password" } } }
  })
}

locals {
  cache_user = "${local.name}-service"
  # What src/peopleinfo/cache sends, and nothing else: its scripts and what they call, tracking, and the answers' keys.
  cache_rights = "on ~pi:* -@all +select +ping +hello +auth +client|id +client|tracking +eval +evalsha +info +time +get +set +del +exists +pttl +pexpire +hget +hset +hmget +hlen +zadd +zrem +zremrangebyscore"
  cache_url    = local.has_cache ? "rediss://${aws_elasticache_replication_group.default[0].primary_endpoint_address}:${local.cache_port}" : "none"
}
