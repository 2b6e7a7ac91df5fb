sm::io::ServeOptions options;
