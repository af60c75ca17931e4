# Valkey as the cache, in two or more zones, unless the profile has none. Its loss loses no record.

resource "aws_elasticache_replication_group" "default" {
  count                      = local.has_cache ? 1 : 0
  replication_group_id       = local.name
  description                = "Cached responses of ${local.name}."
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
  # No snapshots: they would keep erased records.
  snapshot_retention_limit   = 0
  auto_minor_version_upgrade = true
  apply_immediately          = false
}

resource "aws_elasticache_parameter_group" "default" {
  count       = local.has_cache ? 1 : 0
  name        = local.name
  family      = "valkey8"
  description = "Evict keys by their TTL when the memory is full; fences and leases have a TTL."
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

# Secrets Manager generates the password, and ElastiCache reads it. Terraform's resource for the user stores passwords in the state
# and has no write-only argument, so CloudFormation creates the user and passes the secret by reference.
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
  # Only the commands of src/peopleinfo/stores/cached: its scripts, the commands in them, tracking, and the keys of the cache.
  cache_rights = "on ~pi:* -@all +select +ping +hello +auth +client|id +client|tracking +eval +evalsha +info +time +get +set +del +exists +pttl +pexpire +hget +hset +hmget +hlen +zadd +zrem +zremrangebyscore"
  cache_url    = local.has_cache ? "rediss://${aws_elasticache_replication_group.default[0].primary_endpoint_address}:${local.cache_port}" : "none"
}
