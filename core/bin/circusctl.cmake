add_executable(circusctl circusctl_main.cc)
target_link_libraries(circusctl PRIVATE circus_shell circus_control_client)
install(TARGETS circusctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The shells' completion files, as circusctl itself prints them, each where its shell looks for it.
set(completions ${CMAKE_BINARY_DIR}/completions)
set(completion_files)
function(circus_completion shell file directory installed)
    add_custom_command(OUTPUT ${completions}/${file}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}
        COMMAND circusctl completion ${shell} > ${completions}/${file}
        DEPENDS circusctl COMMENT "Writing circusctl's completion for ${shell}" VERBATIM)
    install(FILES ${completions}/${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/${directory} RENAME ${installed})
    set(completion_files ${completion_files} ${completions}/${file} PARENT_SCOPE)
endfunction()
circus_completion(bash circusctl.bash bash-completion/completions circusctl)
circus_completion(zsh _circusctl zsh/site-functions _circusctl)
circus_completion(fish circusctl.fish fish/vendor_completions.d circusctl.fish)
add_custom_target(completions ALL DEPENDS ${completion_files})
