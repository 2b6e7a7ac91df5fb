const model = sm.module.linear(4, 4)
