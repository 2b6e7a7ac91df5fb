"""The models of bench_server behind FastAPI: fastapi_server.py THREADS. Bodies are the bytes of float32, the shape is in a
header, and the graph of a forward waits under an identifier for its gradient. Prints its port."""
import asyncio
import itertools
import sys

import fastapi
import torch
import uvicorn

LEARNING_RATE = 1e-2


def read(body, headers):
    shape = [int(size) for size in headers['shape'].split(',')]
    return torch.frombuffer(bytearray(body), dtype=torch.float32).reshape(shape)


def write(tensor, step):
    headers = {'shape': ','.join(map(str, tensor.shape)), 'step': str(step)}
    return fastapi.Response(tensor.numpy().tobytes(), media_type='application/octet-stream', headers=headers)


def add_model(app, path, weight, model):
    """Two routes: PATH/forward, and PATH/optimize, which moves the weight."""
    steps, outputs = itertools.count(), {}
    optimizer = torch.optim.SGD([weight], lr=LEARNING_RATE)

    # Handlers that don't await run on the event loop: a thread pool would cost more than the work.
    @app.post(path + '/forward')
    async def forward(request: fastapi.Request):
        output = model(read(await request.body(), request.headers))
        step = next(steps)
        outputs[step] = output
        return write(output.detach(), step)

    @app.post(path + '/optimize')
    async def optimize(request: fastapi.Request):
        output = outputs.pop(int(request.headers['step']))
        optimizer.zero_grad(set_to_none=True)
        output.backward(read(await request.body(), request.headers))
        optimizer.step()
        return fastapi.Response()


def main():
    torch.set_num_threads(int(sys.argv[1]))
    app = fastapi.FastAPI()
    scalar = torch.tensor(1.718, requires_grad=True)
    add_model(app, '', scalar, lambda x: x * scalar)
    matrix = torch.zeros(128, 8, requires_grad=True)
    add_model(app, '/matrix', matrix, lambda x: x @ matrix)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level='error', timeout_keep_alive=3600))

    async def serve():
        running = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        # Ends with its input.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.should_exit = True
        await running

    asyncio.run(serve())


if __name__ == '__main__':
    main()
