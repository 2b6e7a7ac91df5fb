#pragma once

#include <memory>

#include "network.hpp"

namespace sm::js {

// The handler of one route, which asks JavaScript and waits.
io::Handler script_handler(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Gate> gate, uint32_t server,
                           uint32_t route);

// respond() and fail(), by which JavaScript answers.
void define_answers(napi_env env, napi_value exports);

}  // namespace sm::js
