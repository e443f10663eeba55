// The only dispatch of a call to a device in the program.
#pragma once

#include "kernels/call_description.h"
#include "kernels/stream.h"

namespace basin {

// Runs `call` on the device of `stream`. A device that lacks the call is a link error.
template <class Call>
void run(const Call& call, Stream& stream) {
  if (stream.observer) {
    stream.observer->announce(describe_call(call));
    stream.observer->begin();
  }
  cpu::run(call);
  if (stream.observer) stream.observer->end(Call::kName, call.flops(), call.bytes());
}

}  // namespace basin
