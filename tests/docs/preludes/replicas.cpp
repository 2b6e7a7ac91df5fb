sm::nn::Linear model(4, 4);
