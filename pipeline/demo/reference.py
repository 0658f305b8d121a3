"""The company's reference data: products, suppliers, carriers, channels, customers and exchange rates.

A European platform selling fashion, lifestyle and home improvement to France, Spain, Germany and the Middle East. Everything
here follows from the seed alone (and the period), so a live feed can continue a world without reading what it wrote.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pipeline.demo.clock import DAY_S, HOUR_S, iso_z, money, stream, uuid_of

COUNTRIES = (("FR", "FR", 38), ("DE", "DE", 24), ("ES", "ES", 22), ("AE", "ME", 9), ("SA", "ME", 7))
CITIES = {
    "FR": (("Paris", "75011"), ("Lyon", "69003"), ("Marseille", "13006"), ("Besançon", "25000"), ("Nîmes", "30000")),
    "DE": (("Berlin", "10115"), ("München", "80331"), ("Köln", "50667"), ("Hamburg", "20095"), ("Düsseldorf", "40210")),
    "ES": (("Madrid", "28013"), ("Barcelona", "08002"), ("A Coruña", "15003"), ("Málaga", "29005"), ("Sevilla", "41001")),
    "AE": (("Dubai", "00000"), ("Abu Dhabi", "00000"), ("Sharjah", "00000")),
    "SA": (("Riyadh", "11564"), ("Jeddah", "21577"), ("Dammam", "31411")),
}
FIRST_NAMES = {
    "FR": ("Chloé", "Zoë", "Hélène", "François", "Léa", "Jean-Luc", "Inès", "Mathieu", "Camille", "Théo"),
    "DE": ("Jürgen", "Anke", "Björn", "Lena", "Sören", "Käthe", "Maximilian", "Mia", "Jonas", "Greta"),
    "ES": ("José", "Begoña", "Íñigo", "Lucía", "María José", "Andrés", "Nuria", "Álvaro", "Carmen", "Martín"),
    "AE": ("محمد", "Aisha", "Omar", "Fatima", "خالد", "Layla", "Yousef", "Mariam"),
    "SA": ("عبد الله", "Noura", "Faisal", "Sara", "Salman", "هند", "Turki", "Reem"),
}
LAST_NAMES = {
    "FR": ("Lefèvre", "D'Angelo", "Moreau", "Nguyễn", "Béranger", "de la Tour", "Girard", "Roux"),
    "DE": ("Müller", "Groß", "Schäfer", "von Ahlen", "Yılmaz", "Krüger", "Weiß", "Hoffmann"),
    "ES": ("Núñez", "García", "O'Shea", "Ibáñez", "Peña", "Martínez-Campos", "Ruiz", "Castaño"),
    "AE": ("Al Maktoum", "Haddad", "حداد", "Rahman", "Al Suwaidi", "Khan"),
    "SA": ("Al Saud", "القحطاني", "Al Harbi", "Bakr", "Zahrani", "Qasim"),
}
DIAL = {"FR": "+336", "DE": "+4915", "ES": "+346", "AE": "+9715", "SA": "+9665"}
TIERS = ("bronze", "silver", "gold", "platinum")
SEGMENTS = ("value", "family", "trend", "premium", "dormant")
CHANNELS = (
    ("web", "Web shop", "online"),
    ("mobile", "Mobile app", "online"),
    ("store", "Stores", "offline"),
    ("marketplace", "Marketplace", "third_party"),
    ("partner", "Partner shops", "third_party"),
)
CARRIERS = (
    ("CAR-CHRONO", "Chronopost", "FR"),
    ("CAR-DHL", "DHL Paket", "DE"),
    ("CAR-SEUR", "SEUR", "ES"),
    ("CAR-ARAMEX", "Aramex", "AE"),
    ("CAR-SMSA", "SMSA Express", "SA"),
    ("CAR-VELO", 'Vélo "Dernier Km", coopérative', "FR"),
)
SUPPLIERS = (
    ("SUP-001", 'Maison "Étoile", SARL', "FR", 7, "30 days net"),
    ("SUP-002", "Textil Peña, S.A.", "ES", 12, "45 days, 2 % at 10 days"),
    ("SUP-003", "Grüne Küche GmbH", "DE", 5, "30 days net"),
    ("SUP-004", "Gulf Home Trading", "AE", 21, "letter of credit"),
    ("SUP-005", "Bambou & Cie\nAtelier de Nantes", "FR", 9, "30 days net"),
    ("SUP-006", "Werkzeug-Union eG", "DE", 14, "60 days net"),
    ("SUP-007", "Najd Fabrics", "SA", 18, "prepaid"),
    ("SUP-008", "Huerta Orgánica", "ES", 4, "15 days net"),
)
SELLERS = tuple(f"SEL-{n:04d}" for n in range(1, 61))
KINDS: tuple[tuple[str, str, str, str, str, bool, int, int], ...] = (
    # prefix, category, subcategory, name, material, organic, price in EUR, sustainability score
    ("FSH", "fashion", "shirts", "Linen shirt", "linen", False, 39, 68),
    ("FSH", "fashion", "shirts", "Organic cotton T-shirt", "organic cotton", True, 19, 82),
    ("FSH", "fashion", "denim", "Slim jeans", "cotton", False, 59, 41),
    ("FSH", "fashion", "knitwear", "Merino jumper", "wool", False, 69, 57),
    ("FSH", "fashion", "shoes", "Canvas sneakers", "canvas", False, 49, 38),
    ("FSH", "fashion", "accessories", "Silk scarf", "silk", False, 29, 44),
    ("LIF", "lifestyle", "kitchen", "Bamboo cutlery set", "bamboo", False, 14, 94),
    ("LIF", "lifestyle", "pantry", "Organic beans 1 kg", "organic beans", True, 6, 91),
    ("LIF", "lifestyle", "kitchen", "Steel water bottle", "steel", False, 18, 71),
    ("LIF", "lifestyle", "wellness", "Cork yoga mat", "cork", False, 35, 85),
    ("LIF", "lifestyle", "stationery", "Recycled notebook", "recycled paper", False, 8, 88),
    ("LIF", "lifestyle", "pantry", "Organic coffee 500 g", "organic coffee", True, 11, 80),
    ("HOM", "home_improvement", "lighting", "LED desk lamp", "aluminium", False, 34, 52),
    ("HOM", "home_improvement", "tools", 'Screwdriver set 1/4"', "steel", False, 24, 35),
    ("HOM", "home_improvement", "paint", "Wall paint 5 l, white", "acrylic", False, 31, 27),
    ("HOM", "home_improvement", "textiles", "Bamboo towel", "bamboo", False, 16, 87),
    ("HOM", "home_improvement", "storage", "Oak shelf", "oak", False, 79, 63),
    ("HOM", "home_improvement", "garden", "Terracotta pot", "terracotta", False, 12, 76),
)
BRANDS = {
    "FSH": ("Atelier Marais", "Noor", "Costa Brava"),
    "LIF": ("Verde & Co", "Bambou", "Oasis"),
    "HOM": ("Werkhaus", "Casa Lista", "Majlis"),
}
BASE_RATE = {"AED": 0.2336, "SAR": 0.2287, "USD": 0.8578, "GBP": 1.1542}


@dataclass(slots=True)
class Product:
    sku: str
    name: str
    brand: str
    category: str
    subcategory: str
    supplier_id: str
    cost: int
    price: int
    score: int
    material: str
    organic: bool
    active: bool
    updated_at: int

    def row(self) -> tuple[Any, ...]:
        """The values of a products drop up to and without ``source_seq``."""
        return (
            self.sku,
            self.name,
            self.brand,
            self.category,
            self.subcategory,
            self.supplier_id,
            Decimal(money(self.cost)),
            Decimal(money(self.price)),
            self.score,
            self.material,
            self.organic,
            self.active,
            iso_z(self.updated_at),
        )


@dataclass(slots=True)
class Customer:
    customer_id: str
    country: str
    region: str
    created_at: int
    versions: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """(when its drop goes out, the record without ``source_seq``), oldest version first."""


def suppliers_by_sku_prefix() -> dict[str, tuple[str, ...]]:
    return {
        "FSH": ("SUP-001", "SUP-002", "SUP-007"),
        "LIF": ("SUP-005", "SUP-008", "SUP-003"),
        "HOM": ("SUP-006", "SUP-004", "SUP-003"),
    }


def make_products(seed: int, count: int, before: int) -> list[Product]:
    """``count`` products in their first version, dated before ``before``."""
    rng = stream(seed, "products")
    suppliers = suppliers_by_sku_prefix()
    products = []
    for number in range(count):
        prefix, category, subcategory, name, material, organic, euros, score = KINDS[number % len(KINDS)]
        brand = BRANDS[prefix][rng.randrange(3)]
        price = max(199, round(euros * 100 * rng.uniform(0.5, 0.95) / 10) * 10 - 1)
        products.append(
            Product(
                sku=f"{prefix}-{100000 + number * 7 + rng.randrange(7)}",
                name=f"{name} No. {number // len(KINDS) + 1}",
                brand=brand,
                category=category,
                subcategory=subcategory,
                supplier_id=suppliers[prefix][rng.randrange(3)],
                cost=round(price * rng.uniform(0.38, 0.62)),
                price=price,
                score=min(100, max(0, score + rng.randrange(-6, 7))),
                material=material,
                organic=organic,
                active=rng.random() > 0.04,
                updated_at=before - rng.randrange(20, 60) * DAY_S,
            )
        )
    return products


def make_customers(seed: int, count: int, start: int, end: int) -> list[Customer]:
    """``count`` customers in the order of their registration; about one in six registers within [start, end).

    A quarter changes tier, consent, city or value once or twice; one change in eight reaches us one to three days late.
    """
    rng = stream(seed, "customers")
    weights = [weight for _, _, weight in COUNTRIES]
    old = count - count // 6
    created = sorted(start - DAY_S - rng.randrange(900 * DAY_S) for _ in range(old))
    created += sorted(start + rng.randrange(max(1, end - start)) for _ in range(count - old))
    customers = []
    for number, at in enumerate(created):
        country, region, _ = rng.choices(COUNTRIES, weights)[0]
        customer = Customer(uuid_of(rng), country, region, at)
        first = FIRST_NAMES[country][rng.randrange(len(FIRST_NAMES[country]))]
        last = LAST_NAMES[country][rng.randrange(len(LAST_NAMES[country]))]
        city, postal_code = CITIES[country][rng.randrange(len(CITIES[country]))]
        value = rng.randrange(0, 180000)
        tier = min(3, value // 50000)
        marketing, profiling = rng.random() < 0.55, rng.random() < 0.45
        consent_at = at
        record: dict[str, Any] = {
            "customer_id": customer.customer_id,
            "email": f"customer{number + 1}@example.{('com', 'org', 'net')[number % 3]}",
            "first_name": first,
            "last_name": last,
            "phone": f"{DIAL[country]}{rng.randrange(10**7, 10**8)}",
            "birth_date": f"{rng.randrange(1948, 2007)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
            "country": country,
            "region": region,
            "city": city,
            "postal_code": postal_code,
            "loyalty_tier": TIERS[tier],
            "segment": SEGMENTS[rng.randrange(len(SEGMENTS))],
            "lifetime_value": money(value),
            "consent": {"marketing": marketing, "profiling": profiling, "updated_at": iso_z(consent_at)},
            "created_at": iso_z(at),
            "updated_at": iso_z(at),
        }
        customer.versions.append((max(at, start), record))
        changes = rng.choices((0, 1, 2), (72, 20, 8))[0]
        moments = sorted({max(at, start) + 600 + rng.randrange(max(1, end - start)) for _ in range(changes)})
        for moment in moments:
            value += rng.randrange(1000, 40000)
            changed = dict(record, lifetime_value=money(value), updated_at=iso_z(moment))
            what = rng.random()
            if what < 0.4:
                changed["loyalty_tier"] = TIERS[min(3, value // 50000)]
            elif what < 0.7:
                marketing, profiling = rng.random() < 0.5, rng.random() < 0.5
                changed["consent"] = {"marketing": marketing, "profiling": profiling, "updated_at": iso_z(moment)}
            else:
                changed["city"], changed["postal_code"] = CITIES[country][rng.randrange(len(CITIES[country]))]
                changed["segment"] = SEGMENTS[rng.randrange(len(SEGMENTS))]
            record = changed
            late = rng.randrange(1, 4) * DAY_S if rng.random() < 0.125 else 0
            customer.versions.append((moment + late, record))
        customers.append(customer)
    return customers


def rate_of(seed: int, currency: str, hour: int) -> float:
    """The rate to EUR published for an hour: a slow swing and hourly noise around a base, from the seed alone."""
    noise = zlib.crc32(f"{seed}:{currency}:{hour}".encode()) / 2**32 - 0.5
    phase = zlib.crc32(currency.encode()) % 97
    return BASE_RATE[currency] * (1 + 0.012 * math.sin((hour + phase) / 61) + 0.003 * noise)


def fx_record(seed: int, currency: str, hour: int, *, published: int, factor: float = 1.0) -> dict[str, Any]:
    return {
        "currency": currency,
        "rate_hour": iso_z(hour * HOUR_S),
        "rate_to_eur": f"{rate_of(seed, currency, hour) * factor:.8f}",
        "updated_at": iso_z(published),
    }
