#pragma once
// The `response` part of the configuration: what waits for approval, and how much policies may do.
// Throws yaml::Problem: only for what yaml::read_file() calls.

#include <array>

#include "daemon/action_desk.h"

namespace YAML {
class Node;
}

namespace outguard::daemon {

void read_response_section(const YAML::Node &node,
                           std::array<ApprovalRule, kResponseActions> &approvals,
                           ActionLimits &limits);

} // namespace outguard::daemon
