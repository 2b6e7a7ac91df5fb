#pragma once

#include <string_view>

// The dashboard's page, which the build makes from dashboard/.
namespace sm::io {

// One HTML file, compressed by gzip. Empty in a build with SHUMAI_DASHBOARD=OFF.
std::string_view dashboard_page();

// Of its one script, as Content-Security-Policy takes it: "sha256-" and base64. Empty where the page is.
std::string_view dashboard_script_hash();

}  // namespace sm::io
