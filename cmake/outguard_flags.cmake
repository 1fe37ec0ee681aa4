# One interface target that every module links: warnings, hardening, sanitizers.
add_library(outguard_flags INTERFACE)
target_compile_options(outguard_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast -Wimplicit-fallthrough)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of "literal" + std::string at -O2 and above, wrongly (GCC bug 105329).
  target_compile_options(outguard_flags INTERFACE -Wno-restrict)
endif()
if(OUTGUARD_WERROR)
  target_compile_options(outguard_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_options(outguard_flags INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection -fPIE)
  target_link_options(outguard_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(OUTGUARD_SANITIZE)
  target_compile_options(outguard_flags INTERFACE
    -fsanitize=${OUTGUARD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(outguard_flags INTERFACE -fsanitize=${OUTGUARD_SANITIZE})
endif()
