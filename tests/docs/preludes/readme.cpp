std::pair<sm::Tensor, sm::Tensor> get_data() {
  auto input = sm::randn({128});
  return {input, input * 3};
}
