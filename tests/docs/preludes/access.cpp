const std::string secret = "a-secret-of-enough-characters", other = "another-secret-of-enough-characters";
