const std::string url = "https://localhost:3000/forward";
const auto x = sm::randn({3});
sm::nn::Linear model(3, 3);
