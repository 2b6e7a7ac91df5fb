mkdir -p shared/digits
