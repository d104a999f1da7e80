"""What is published about the two CIFARs: class names, file names, checksums. Facts only, nothing is read here."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Images of 32x32 pixels and their labels, as the Hugging Face hub publishes them.

    Attributes:
        title: Its name in messages.
        classes: Names of the classes, in the order of their labels.
        label_column: Where the Parquet files keep the labels.
    """

    title: str
    classes: tuple[str, ...]
    label_column: str


@dataclass(frozen=True, kw_only=True)
class Cifar(Labelled):
    """One of the two data sets, as its authors and the Hugging Face hub publish it.

    Attributes:
        repository: Name of its repository on the hub, and so of a clone.
        torchvision: Name of its class in `torchvision.datasets`, which knows where it is downloaded from.
        archive: Name of the file that is published.
        batches_folder: Name of the folder of pickled batches, as torchvision unpacks it.
        train_batches: File name and MD5 of each training batch, in order.
        test_batches: File name and MD5 of each test batch.
        batch_label_key: Where a pickled batch keeps the labels.
    """

    repository: str
    torchvision: str
    archive: str
    batches_folder: str
    train_batches: tuple[tuple[str, str], ...]
    test_batches: tuple[tuple[str, str], ...]
    batch_label_key: str


# Checksums and names stand here too, not only in torchvision, because importing that takes seconds
# and a plan has no other need of it. A test compares the two.
CIFAR10 = Cifar(
    title="CIFAR-10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    repository="cifar10",
    torchvision="CIFAR10",
    archive="cifar-10-python.tar.gz",
    batches_folder="cifar-10-batches-py",
    train_batches=(
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    test_batches=(("test_batch", "40351d587109b95175f43aff81a1287e"),),
    batch_label_key="labels",
    label_column="label",
)
"""Source: https://www.cs.toronto.edu/~kriz/cifar.html and `torchvision.datasets.CIFAR10`."""

CIFAR100 = Cifar(
    title="CIFAR-100",
    classes=tuple(  # as one text: a name a line would be a hundred lines
        """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
        castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
        elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
        man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
        pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
        tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
        """.split()  # noqa: SIM905
    ),
    repository="cifar100",
    torchvision="CIFAR100",
    archive="cifar-100-python.tar.gz",
    batches_folder="cifar-100-python",
    train_batches=(("train", "16019d7e3df5f24257cddd939b257f8d"),),
    test_batches=(("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
    batch_label_key="fine_labels",
    label_column="fine_label",
)
"""Source: https://www.cs.toronto.edu/~kriz/cifar.html and `torchvision.datasets.CIFAR100`."""
