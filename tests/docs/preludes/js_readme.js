const model = sm.module.sequential(sm.module.linear(4, 8), sm.relu, sm.module.linear(8, 1))
const loss = sm.loss.mse(model(sm.randn([16, 4])), sm.zeros([16, 1]))
