# embed_bpf(MODULE SOURCE USER DEFINITION): compiles SOURCE (C, below src/) for the kernel's eBPF machine,
# with clang whatever compiles the rest and without kernel headers. USER, one of MODULE's sources, embeds
# the object by the path that DEFINITION gives it.
find_program(BPF_CLANG NAMES clang clang-14 REQUIRED)
find_program(BPF_STRIP NAMES llvm-strip llvm-strip-14)

function(embed_bpf module source user definition)
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/bpf/${name}.o)
  set(strip COMMAND ${BPF_STRIP} -g ${object}) # debug information; the kernel's own (BTF) stays
  if(NOT BPF_STRIP)
    unset(strip)
  endif()
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/bpf
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v2 -std=c11 -ffreestanding -O2 -g -Wall -Wextra -Werror
      -I ${CMAKE_SOURCE_DIR}/src -MD -MF ${object}.d
      -c ${CMAKE_SOURCE_DIR}/src/${source} -o ${object}
    ${strip}
    DEPENDS ${CMAKE_SOURCE_DIR}/src/${source} DEPFILE ${object}.d
    COMMENT "Compiling ${source} for the kernel" VERBATIM)
  set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/${user} PROPERTIES
    OBJECT_DEPENDS ${object} COMPILE_DEFINITIONS "${definition}=\"${object}\"")
  add_custom_target(${name}_bpf DEPENDS ${object})
  add_dependencies(${module} ${name}_bpf)
endfunction()
