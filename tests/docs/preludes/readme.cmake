cmake_minimum_required(VERSION 3.25)
project(my_server LANGUAGES CXX)
add_executable(my_server main.cpp)
