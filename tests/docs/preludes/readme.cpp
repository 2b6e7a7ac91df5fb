std::pair<sm::Tensor, sm::Tensor> get_data() {
  auto input = sm::randn({128});
  return {input, input * 3};
}
const auto images = sm::randn({16, 784});
const auto labels = sm::zeros({16}, sm::DType::i64);
