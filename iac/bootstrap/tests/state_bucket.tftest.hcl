mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment = "qa"
  region      = "eu-west-1"
}

run "the_state_is_encrypted_under_a_key_of_its_own" {
  command = plan
  assert {
    condition     = module.state_bucket.name == "people-info-qa-state-123456789012"
    error_message = "The bucket is named ${module.state_bucket.name}; the other stacks expect another name."
  }
  assert {
    condition     = aws_ssm_parameter.published["state_key_arn"].insecure_value == module.state_key.arn
    error_message = "The key of the state is not published."
  }
  assert {
    condition     = strcontains(output.backend, "encrypt    = true") && strcontains(output.backend, module.state_key.arn)
    error_message = "States would be written without encryption by the key."
  }
}

run "an_environment_that_would_make_names_too_long_is_refused" {
  command = plan
  variables {
    environment = "integration-tests"
  }
  expect_failures = [var.environment]
}
