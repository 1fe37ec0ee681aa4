// A genuine TLS 1.3 ClientHello, RFC 8446 section 4.1.2, such as a current browser or curl sends.
#pragma once

#include <string>

namespace lab {

// The whole TLS record; random parts differ each time.
std::string client_hello(const std::string &server_name);

} // namespace lab
