#pragma once
// Hosts known to resolve names over HTTPS: who speaks to one hides what is asked for. A short list
// of public services; others exist and are not told from any web server.

#include <string_view>

namespace outguard::guest {

/// `host` in normal form (host_name.h). True also for names below a listed one.
[[nodiscard]] bool is_doh_resolver(std::string_view host);

} // namespace outguard::guest
