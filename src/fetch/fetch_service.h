#pragma once
// The process's one job: takes one FetchFeed from the control socket, answers with a FeedFetched.

#include <string>
#include <vector>

#include "base/message_socket.h"

namespace outguard::fetch {

void serve_one(MessageSocket control, std::vector<std::string> sandbox_gaps);

} // namespace outguard::fetch
