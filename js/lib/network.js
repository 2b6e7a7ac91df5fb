export { tfetch } from './fetch.js'
export { remote_model } from './remote_model.js'
export { serve, serve_model, Server } from './server.js'
export { remote_runner, serve_runner } from './runner.js'
