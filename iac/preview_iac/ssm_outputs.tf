# The URL of the preview.

resource "aws_ssm_parameter" "published" {
  for_each = {
    url = "https://${local.preview}.${local.previews.domain}"
  }
  name           = "/${local.name}/preview/${local.preview}/${each.key}"
  type           = "String"
  insecure_value = each.value
}
