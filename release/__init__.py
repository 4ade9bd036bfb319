# SPDX-License-Identifier: EUPL-1.2

"""What goes out to users beside the program: the documentation as a site, and a release with its signature."""
