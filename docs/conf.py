"""How Sphinx builds these pages: ``sphinx-build -W -b html docs docs/_build``."""

import re

import fastnn

project = "fastnn"
author = "The fastnn developers"
project_copyright = author
version = release = fastnn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
suppress_warnings = ["config.cache"]
default_role = "py:obj"  # `MLP.fit` in a docstring leads there
myst_heading_anchors = 3
add_module_names = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types and shapes
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",  # the others take minutes, and come with their pictures
    "subsection_order": ["../examples/basics", "../examples/simulations"],
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 3600,  # a time in a page would be that of the machine that built it
    "write_computation_times": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "capture_repr": (),
}

html_theme = "pydata_sphinx_theme"
html_title = f"fastnn {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_sidebars = {"index": [], "gallery/basics/plot_1_tutorial": []}
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def examples_as_pages(app, docname, source):
    """A link to an example's file, which is right in the repository, leads to its page of the gallery."""
    source[0] = re.sub(r"\]\((?:\.\./)+examples/([\w/]+)\.py\)", r"](/gallery/\1.rst)", source[0])


def setup(app):
    """What Sphinx calls."""
    app.connect("source-read", examples_as_pages)
